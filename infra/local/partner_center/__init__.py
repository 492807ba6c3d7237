"""The stand-in for Partner Center, served once for each national cloud; all of them hold the same orders.

`server` answers requests, `order_rules` decides what a PATCH does to an order, `catalogue` has the orders that
exist at the start, `refusals` the error answers.

Stood in for
    GET and PATCH of `/v1/customers/{customerTenantId}/orders/{orderId}`.

Documented behaviour
    Which products can be cancelled in the sandbox and in production, and until when; cancelling a whole order and
    single lines; the error codes with their statuses; tokens (audience, MFA for App+User, the dead Azure AD Graph
    audiences); the tracing headers; throttling as its gateway answers it. Each module names its sources.

Guesses, marked "Guess" in the code: the places to try in a real sandbox
    - `server`: an order is also found by its alternateId; refusals are repeated for the same MS-RequestId, too, and
      answers to a PATCH for a GET; one code for every bad token; the code for an unknown partner tenant; the form of
      a 415; the code for a second PATCH while the first one does not show: 800061 if the reads lag (`shows-later`),
      800060 if the order was only accepted (`accepted`).
    - `order_rules`: most codes for a PATCH that makes no sense; an absent id and an empty list of lines mean the
      whole order; a status other than cancelled changes nothing; a line with another line's offer is refused;
      an order that is cancelled already is refused; the code after the sandbox's 60 days; legacy licences;
      which code comes first in production; a line with quantity 0 can be requested again.

Left out
    Every other path of the API (customers, subscriptions, carts, invoices), changes of an order other than its
    cancellation, ETags, refunds, asynchronous provisioning apart from the orders that show their change later.
"""
