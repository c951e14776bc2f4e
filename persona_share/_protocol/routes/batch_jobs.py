"""``/batch-jobs``: many rows in one request; their permissions are not documented."""

from typing import Final

from persona_share._protocol.routes.route import Family


_FAMILY: Final = Family(None, "batch_jobs")

CREATE: Final = _FAMILY.create("/batch-jobs", "the objects that the rows name")
RETRIEVE: Final = _FAMILY.read("/batch-jobs/{batch-job-id}")
ERRORS: Final = _FAMILY.read("/batch-jobs/{batch-job-id}/errors")
