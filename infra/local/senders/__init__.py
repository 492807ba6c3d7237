"""Plays the ticketing systems and the flow that send requests to the function: `python -m infra.local send`.

`templates` fills in the bodies of infra/ticketing as each system does, `requests` makes a ticket and its body from an
errand, `deliveries` adds each system's headers and knows its reaction to the answer, `flow_token` gets the flow's
token, `notes` shows what the function wrote into the ticket, and `send` is the command. The console sends by them, too.

Stood in for
    Each system with a folder in infra/ticketing, a sender of Standard Webhooks, and a Power Automate flow: body,
    signature or other proof, headers, and whether the system repeats a request after the answer.

Documented behaviour
    Each system's page in infra/ticketing names its sources. The signature of Standard Webhooks is made by their own
    library. A flow's headers follow requests of public flows.

Guesses
    Zendesk signs each attempt anew; the form of the ids of a flow's run. Nobody could ask the real systems.

Left out
    Everything inside the systems: triggers, rules, the ticket itself, the later repeats by their own schedule. A
    repeat is sent at once, or after the answer's Retry-After.
"""
