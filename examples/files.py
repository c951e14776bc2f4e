"""Either side: save an inquiry as a PDF, and the files of a document.

python examples/files.py inq_… doc_…
"""

import asyncio
import sys

from persona_share import PersonaClient


async def main(inquiry_id: str, document_id: str) -> None:
    """Print the path of each new file."""
    async with PersonaClient.from_env() as client:
        print(await client.inquiries.print(inquiry_id).save(f"{inquiry_id}.pdf"))
        document = await client.documents.retrieve_generic(document_id)
        for each in document.files():
            path = f"{document_id}-{each.attribute}"
            print(await client.files.download(each.file).save(path))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
