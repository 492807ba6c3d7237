"""The product behind the functions. Imports go down this list, never up.

runtime           puts the parts together for one worker
http_answer       answers and problems as HTTP
finding           finds a customer's orders and subscriptions
customers         the tenant of a customer's domain
tickets           tells tickets how their requests ended: the queue of follow-ups
ticketing         the ticketing systems: reading a ticket's notes, writing one
cancelling        the requests that a cancellation takes, and the answer to the caller
rules             decisions: the way of a line, what must not be sent, what an answer proves, what is likely
partner_center    the requests of one call, the form of orders and subscriptions
replies           Partner Center's replies: reading, codes, meaning
callers           the caller of a request, its proof, its permissions
credentials       tokens for the accounts: Key Vault, Entra ID
audit             the audit record of a call
call              the facts of one call: its ids, its deadline, its PATCH requests
settings, clouds  the operator's settings; Microsoft's clouds
caller_settings   the setting CALLERS
setting_types     the types of settings
messages          the sentences for the person at the ticket
contract          the models of request and answer
ids               the ids in a request, and what is wrong with one
http_request      strict reading of any request
connections       idle connections to servers; look-ups of host names
tls               the TLS context
outside_text      cleans and cuts texts from outside
strict_json       JSON without repeated names
rfc3339           dates as text
errors            the error tree
"""

import gc
import os

# Both come before any other module of ours is loaded (docs/decisions/0045-faster-load.md).
#
# What a worker loads stays. After every 10 collections of what is new, Python looks once more at all that they have
# left: five times in a cold start, 13 to 17 ms together.
gc.set_threshold(2_000, 50)
# For its first model pydantic looks for plugins in the metadata of every package. There are none, and none may read the
# texts of requests.
os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
