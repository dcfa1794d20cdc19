"""AWS on an endpoint: resource types as tables over boto3.

How it fits together::

    provider.py    Pulumi's protocol (check, diff, create, read, update, delete, adopt, invoke)
      check.py     what a program may ask for; automatic names
      compare.py   property-level differences
      lifecycle.py the operations, by a table entry
        reading.py    what there is, and what of it is shown; requests.py what is sent
        operation.py  one operation at hand: inputs, state, calls, braces
        shape.py      properties <-> API parameters
        tagging.py    tags and tagsAll
      clients.py   boto3, errors in our words; emulator.py what moto does not implement
    registry.py    finds the tables; tables/<service>.py one file per service, or more where one would be too long
    table.py, fields.py  what a table is written in: the type and its calls, its properties

How a table entry is written (``table.py`` and ``fields.py`` say what each word means)::

    QUEUE = Resource(
        type="aws:sqs/queue:Queue",                        # Pulumi's token
        service="sqs",                                     # boto3's service name
        fields=(
            text("name", "QueueName", replaces=True),      # Pulumi name, request path (default: capital letter)
            integer("delay", "DelaySeconds", default=0, low=0, high=900),
            json_text("policy"),                           # compared as JSON
            text("kmsKeyId", computed=True),               # absent: the service chooses, never a change
            text("password", not_reported=True, secret=True),  # state keeps what was sent
            computed_from("arn", "arn:aws:sqs:{region}:{account}:{id}"),
            output("url", "QueueUrl"),                     # JMESPath in what the reads give
        ),
        create=Create("create_queue", id="QueueUrl"),      # fields and tags are added; JMESPath to the id, or "{name}"
        read=(Read("describe_queue", {"QueueUrl": "{id}"}, "Queue"),),
        updates=(Update("set_queue", ("delay", "policy"), {"QueueUrl": "{id}"}),),
        delete=Delete("delete_queue", {"QueueUrl": "{id}"}),
        tags=Tags(put=Call("tag", {...: "{tags}"}), remove=Call("untag", {...: "{tag_keys}"}), style="map"),
        find=Find("list_queues", {}, "Queues[?Name=='{name}'].QueueUrl | [0]"),   # not needed when the id is "{name}"
        gone=("QueueDoesNotExist",),                       # error codes
        ready="State=='ACTIVE'", failed="State=='FAILED'", # JMESPath conditions
        auto_name=AutoName("name", limit=80),
        bears_data=True,                                   # facts of the type that others ask for, see ``Resource``
    )

Rules of a good entry, each held by the contract suite in tests/providers/aws:

* Names are exactly pulumi_aws's (camelCase); inputs and outputs alike exist there.
* Every input either ``replaces``, is served by an ``Update``, or is ``behaviour``. What AWS does when an input is
  absent is its ``default`` (or ``computed``), so that an unchanged thing never shows a difference.
* What a create call has no parameter for is ``at_create=False``; its ``Update`` runs right after the create, so an
  update must also work on a thing that was just made. A create that is killed in between is found and finished.
* Irregular calls are small functions given as ``do``; they get an ``Operation`` and call the service with
  ``operation.call("boto3_method", Argument=...)``, never with a client of their own.
* A call that moto does not implement stays in the table, and its name goes into ``emulator.NOT_IMPLEMENTED``: on the
  emulator the result is then marked simulated; a property whose change moto accepts and forgets is named in
  the entry's ``emulator_forgets``. A property that moto takes but does not report is ``not_reported``.

To add a service: ``tables/<service>.py`` with ``RESOURCES``, and ``tests/providers/aws/cases_<service>.py`` with
``CASES``, one ``Case`` per type. Both are found by being there.
"""
