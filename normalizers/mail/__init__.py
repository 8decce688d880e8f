"""How a mail is put together: headers, mailboxes, parts and their encodings. Pure."""
