"""X documents, taken apart: posts, direct messages and people, in both of the vendor's generations."""
