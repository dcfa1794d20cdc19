"""The use cases of the school, without HTTP: what users do, who may do it, and what they are shown.

What a function is given says who opens the transaction:

- a `Connection`: the caller has opened a transaction, or a read, on the right database, and may join several such
  functions in it. Changes within one database are of this kind, and the look-ups that they begin with.
- a `Database`: the function reads one page of a list, alone, from any replica that is fresh enough.
- `Databases`: the function opens what it needs on each, because the rows lie in several databases: a course's students
  on all shards, an account in the catalogue (its address) and in the user's shard (the rest).

Results are TypedDicts, which the OpenAPI document describes as they are (see `shapes`).
"""
