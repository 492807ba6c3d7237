"""The local cloud: every service that the function talks to, on loopback. README.md says how to drive it.

Start reading at `cloud`, which puts the parts together.

Commands
    `__main__` (options, `serve`), `demo`, `senders` (`send`), `examples` (the requests that they show).
Stand-ins, one for each service
    `entra` (Entra ID and the managed identity), `key_vault`, `partner_center`, `tickets` (the ticketing systems' APIs),
    and `functions` (the Functions host).
Contents of the stand-ins
    `accounts`, `callers`, `national_clouds`, `partner_center.catalogue` (the orders) and
    `partner_center.subscription_catalogue`.
Around every stand-in
    `serving` (sockets and TLS), `traffic` (the record of requests), `faults`, `control` (the control interface),
    `console` (the page over it).
"""
