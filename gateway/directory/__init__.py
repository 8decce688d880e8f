"""Who is this? Customers by the addresses they write from."""
