"""The main job with a client that was generated for Python."""

import json
import os

import openapi_client as generated


FACTS = json.loads(os.environ["FACTS"])


def client_of(api_key):
    configuration = generated.Configuration(host=FACTS["url"], access_token=api_key)
    return generated.ApiClient(configuration)


source = client_of(FACTS["source"]["api_key"])
destination = client_of(FACTS["destination"]["api_key"])
inquiry = FACTS["inquiries"][0]

issued = generated.OAuthApi(source).create_authorization(
    FACTS["destination"]["id"], "code", f"inquiry.read:{inquiry}"
)
token = generated.OAuthApi(destination).create_access_token(
    code=issued.code, grant_type="authorization_code"
)
scoped = generated.InquiriesApi(client_of(token.access_token))
found = scoped.retrieve_an_inquiry(inquiry)
assert found.data.id == inquiry, found

attributes = {"connection-id": FACTS["connections"][0], "source-id": inquiry}
body = generated.CreateAShareTokenRequest.from_dict(
    {"data": {"attributes": attributes}}
)
share = generated.ConnectApi(source).create_a_share_token(
    create_a_share_token_request=body
)
redeemed = generated.ConnectApi(destination).redeem_share_token(share.data.id)
print(redeemed.data.attributes.status)  # noqa: T201 - read by the caller
