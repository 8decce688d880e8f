"""The SMTP door: sessions, their commands, and who may come in."""
