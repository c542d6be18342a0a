"""How a centre becomes a member: its page is taken in, every hop to it is walked, the session environment is put there.

An operator's room: it works on the state folder's files and through the transport, on the hub's machine. The broker is only
asked what it alone knows. `scnet centre` is its command line.
"""
