"""The one process: builds the rooms, and holds the one loop between them.

clock        the one clock, seconds since the epoch and never back
directory    the data directory: one server at a time, the secret of the URIs
rooms        from settings to the values that the rooms take
downloads    packages of the store, granted to devices by the edge
pump         receive, store, then act
followers    who is told what happened
"""
