"""Mail that a provider takes in for us and posts."""
