"""The stand-ins for the ticketing systems' own APIs, where the function writes what became of a request.

`systems` puts the five together: `zendesk`, `freshworks` (Freshdesk and Freshservice), `jira` with the document format
of `adf`, and `webhook_receiver`, which is the receiving end of a signed webhook. `desk` holds tickets and their notes,
`http` reads requests. Each module says what is documented, what is a guess, and what is left out.

All of them
    Every id of the right form is an open ticket without notes. The control interface closes a ticket, or makes it
    missing. A new note makes its ticket's time of change at least one second later than before, so that each change
    can be seen in systems whose times have whole seconds. No system limits requests by itself: a fault with
    the status 429 does (Zendesk's has a body in text/html and `Retry-After`).

Stricter than the real systems, where a mistake of the client would otherwise stay unseen
    Members of a body that a stand-in does not know are refused, and so are bodies without a JSON content type, and
    credentials that are left out where a real system would answer a stranger.
"""
