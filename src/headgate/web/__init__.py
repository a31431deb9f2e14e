"""The HTTP API: what an operator, a script and the console do with a fleet.

desk         what this room is given: the store, and what only the server can do
settings     its bounds
app          the application: the route table on one page, and what every request goes through
table        a route, and what it says of itself in the OpenAPI document
problems     errors as problem details (RFC 9457), all of them
access       tokens, their scopes, and who fails too often
bounds       how large a body, how many requests
reading      the store, read beside the loop
paging       keyset pages
repeats      requests that are done once, by their Idempotency-Key
upload       multipart bodies, streamed into the store
targets      the devices of a campaign
tail         the end of the event log, read once for all who follow
metrics      counters for Prometheus
routes/      a file for each kind of resource

Every handler either answers from memory in no time, or awaits a thread: none blocks the loop that serves
blocks.
"""
