"""What of a mail others said: markers as data, and the rules by which they cut."""
