"""The product behind the functions. Imports go down this list, never up.

runtime          puts the parts together for one worker
cancelling       which requests a cancellation takes, and what to tell the caller
partner_center   the requests of one call, how an order reads, what a refusal means
callers          who is calling, how they prove it, what they may do
credentials      tokens for the accounts: Key Vault, Entra ID
call, audit      what is known of one call; its record
http_request     strict reading of any request
contract         the models of request and answer
settings         the operator's settings; clouds has Microsoft's clouds
errors           the error tree
"""
