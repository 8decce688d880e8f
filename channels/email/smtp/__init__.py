"""The SMTP door: a server that loses no mail, and lets nobody hold up the others.

`listener` is where it listens, for one inbox or several; `desk` is what its sessions share, a taker is one inbox at
it. `session` is one client's: commands one after the other, on top of `connection` (bytes in and out), `entrance`
(PROXY and TLS), `commands` (all that leads up to a mail) and `data` (the mail). `incoming` is a mail on its way in:
`data_reader` finds its end, `mending` its lines, `scratch_file` holds what is too large for memory, `room` counts both.
`admission` and `rates` say who may come in how often, `mailboxes` which recipients are ours, `hops` what goes in
circles; `certificate` and `proxied` belong to the entrance, and every word the server says is in `replies`.
"""
