"""The contract that every token store keeps, as a class of tests.

For stores of your own, under pytest with pytest-asyncio or with anyio's plugin::

    @pytest.mark.asyncio
    class TestMyStore(StoreContract):
        def new_store(self):
            return MyStore(...)

What the operations mean stands in `persona_share._policy.election`. pytest is not needed
to import this.
"""

from persona_share.testing.store_contract.leading import Leading
from persona_share.testing.store_contract.sharing import Sharing
from persona_share.testing.store_contract.tickets import Tickets
from persona_share.testing.store_contract.tokens import Tokens


__all__ = ["StoreContract"]


class StoreContract(Leading, Tokens, Tickets, Sharing):
    """Tests of one store; a subclass says with `new_store` how it is made.

    A store with a clock of its own overrides `passes`; one that other instances can
    share overrides `another`.
    """
