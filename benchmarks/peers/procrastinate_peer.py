"""procrastinate on PostgreSQL: `fill URL JOBS COMMAND` enqueues, `drain URL SLOTS` runs all jobs.

Its default connector and worker; `fill` applies its schema first.
"""

import asyncio
import sys
from typing import Any

from procrastinate import App, PsycopgConnector


async def _run(command: str) -> int:
    process = await asyncio.create_subprocess_exec("sh", "-c", command)
    return await process.wait()


async def main(verb: str, url: str, number: str, command: str = "") -> None:
    """Fill the queue with `number` jobs, or drain it with `number` slots."""
    app: Any = App(connector=PsycopgConnector(conninfo=url))

    run = app.task(name="run")(_run)
    async with app.open_async():
        if verb == "fill":
            await app.schema_manager.apply_schema_async()
            jobs = [{"command": command}] * int(number)
            await run.batch_defer_async(*jobs)
        else:
            await app.run_worker_async(
                concurrency=int(number), wait=False, install_signal_handlers=False
            )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
