"""The stand-in for Partner Center, served once for each national cloud; all of them hold the same contents.

`server` answers requests: the doors in front of `orders` and `subscriptions`, which hold the contents. `order_rules`
and `subscription_rules` decide what a PATCH does, `subscription_terms` what time does. What exists at the start is in
`catalogue` (orders), `subscription_catalogue`, `subscription_cases` and `licence_cases`, made in the form of
`resources`; `files` reads more. `entries` is the form of all these, `refusals` has the error answers, `pages` cuts
lists into pages, `customers` has the customers' domains, and `members` reads and writes JSON whatever the case of its
names.

Stood in for, below `/v1/customers/{customerTenantId}`
    GET and PATCH of `/orders/{orderId}` and of `/subscriptions/{subscriptionId}`; GET of `/orders`, all of the
    customer's or those of `?billingType={billingCycle}`; GET of `/subscriptions`, all of the customer's or those of
    `?order_id={orderId}`.

Documented behaviour
    - Orders: which products can be cancelled in the sandbox and in production, and until when; cancelling a whole
      order and single lines.
    - Subscriptions: which kind can be cancelled, suspended, reactivated, and until when (cancellationAllowedUntilDate,
      else the kind's window); a body is the whole resource, so that auto-renew and instructions that are left out are
      reset; the effects of a suspension, on add-ons too; seats that can still be taken away; 200, or 202 with
      Location; renewals, and the extended service terms of 2026: auto-renew off alone is billed on.
    - The error codes with their statuses; tokens (audience, MFA for App+User, the dead Azure AD Graph audiences); the
      tracing headers; throttling as its gateway answers it. Each module names its sources.

Guesses, marked "Guess" in the code: the places to try in a real sandbox
    - `server`: an order is also found by its alternateId, for the list of its subscriptions too; an unknown order has
      an empty list; in a list of orders their order, totalCount, and the code for an unknown billing cycle; refusals
      are repeated for the same MS-RequestId, too, and answers to a PATCH for a GET; one code for every bad token; the
      code for an unknown partner tenant; the form of a 415; the form of Location.
    - `orders`: the code for a second PATCH while the first one does not show: 800061 if the reads lag
      (`shows-later`), 800060 if the order was only accepted (`accepted`). A cancelled line deletes its subscription:
      the one that it names, else one with its offer.
    - `order_rules`: most codes for a PATCH that makes no sense; an absent id and an empty list of lines mean the
      whole order; a status other than cancelled changes nothing; a line with another line's offer is refused;
      an order that is cancelled already is refused; the code after the sandbox's 60 days; legacy licences;
      which code comes first in production; of several kinds in one order the first one that is refused decides; a
      line with quantity 0 can be requested again.
    - `pages`: that a customer's orders and subscriptions have pages, linked as Partner Center's other lists; the size
      of a page; the form of a continuation token, and that it is good for its own list only.
    - `subscriptions`: a list by order has deleted ones, too; a deleted subscription leaves its order as it was,
      quantity included.
    - `subscription_rules`: read-only members that differ are refused, with 3000 (dates as instants, null as absent),
      and others ignored; scheduledActions that are left out are deleted, as by an explicit null; their checks, and
      the kinds that ignore them; a `deleted` goes by the status alone; an ETag that is left out is not compared;
      the codes for trials, legacy licences, Azure plans, extended terms, pending, expired and disabled ones, unknown
      product types, and a reactivation after the end of the term; while suspended, nothing but the status can be
      changed; a cancellation and other seats delete scheduledActions; the code while a renewal is processed; SaaS and
      software cannot be suspended; the newest seats are taken away first.
    - `subscription_terms`: a renewal keeps id, orderId and creationDate, and moves effectiveStartDate; a scheduled
      Cancel ends in `deleted`, and counts only while auto-renew is off; a suspended subscription is disabled at the
      end of its term; the SKU of an extended term.
    - `subscription_cases`: SaaS that is not activated looks like any other; the Azure plan, of which no sample is
      public; the codes for SUSE.

Left out
    Every other path of the API (customers, carts, invoices, add-ons, provisioning status, Azure entitlements), the 15
    minutes until a new order is in the lists, changes of an order other than its cancellation, and of a subscription's
    product, term or billing cycle; If-Match; refunds; asynchronous provisioning apart from the orders that show their
    change later; scheduled actions for a date; the end of a legacy subscription that has been suspended for 90 days; a
    pending one that becomes active. Faults can stand in for most of these answers.
"""
