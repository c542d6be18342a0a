"""Makes a centre a member: adds its page, checks every hop to the centre, and installs the session environment there.

For operators: works on the state folder's files and through the transport, on the hub's machine. The broker is asked
only for facts that no file holds. `scnet centres` is the command line.
"""
