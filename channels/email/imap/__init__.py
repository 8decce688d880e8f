"""Mail fetched from a mailbox, for teams that cannot move their MX."""
