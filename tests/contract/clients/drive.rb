# The main job with a client that was generated for Ruby.
require "json"
require "uri"
require "openapi_client"

FACTS = JSON.parse(ENV.fetch("FACTS"))

def client_of(api_key)
  configuration = OpenapiClient::Configuration.new
  url = URI(FACTS.fetch("url"))
  configuration.scheme = url.scheme
  configuration.host = "#{url.host}:#{url.port}"
  configuration.base_path = url.path
  configuration.server_index = nil
  configuration.access_token = api_key
  OpenapiClient::ApiClient.new(configuration)
end

source = client_of(FACTS["source"]["api_key"])
destination = client_of(FACTS["destination"]["api_key"])
inquiry = FACTS["inquiries"][0]

issued = OpenapiClient::OAuthApi.new(source).create_authorization(
  FACTS["destination"]["id"], "code", "inquiry.read:#{inquiry}"
)
token = OpenapiClient::OAuthApi.new(destination).create_access_token(
  code: issued.code, grant_type: "authorization_code"
)
scoped = OpenapiClient::InquiriesApi.new(client_of(token.access_token))
raise "another inquiry" unless scoped.retrieve_an_inquiry(inquiry).data.id == inquiry

attributes = { "connection-id" => FACTS["connections"][0], "source-id" => inquiry }
share = OpenapiClient::ConnectApi.new(source).create_a_share_token(
  create_a_share_token_request: { "data" => { "attributes" => attributes } }
)
redeemed = OpenapiClient::ConnectApi.new(destination).redeem_share_token(share.data.id)
puts redeemed.data.attributes.status
