// The main job with a client that was generated for TypeScript.
import { ConnectApi, Configuration, InquiriesApi, OAuthApi } from "generated";

const facts = JSON.parse(process.env.FACTS!);
const client = (apiKey: string) => new Configuration({ basePath: facts.url, accessToken: apiKey });

const source = client(facts.source.api_key);
const destination = client(facts.destination.api_key);
const inquiry = facts.inquiries[0];

async function main() {
  const issued = await new OAuthApi(source).createAuthorization({
    clientId: facts.destination.id, responseType: "code", scope: `inquiry.read:${inquiry}`,
  });
  const token = await new OAuthApi(destination).createAccessToken({ code: issued.code, grantType: "authorization_code" });
  const found = await new InquiriesApi(client(token.accessToken)).retrieveAnInquiry({ inquiryId: inquiry });
  if (found.data?.id !== inquiry) throw new Error("another inquiry");
  const share = await new ConnectApi(source).createAShareToken({
    createAShareTokenRequest: { data: { attributes: { connectionId: facts.connections[0], sourceId: inquiry } } },
  });
  const redeemed = await new ConnectApi(destination).redeemShareToken({ shareTokenId: share.data!.id! });
  console.log(redeemed.data!.attributes!.status);
}
main();
