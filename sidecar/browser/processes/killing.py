"""The last resort for processes that don't end when they are asked to."""

import contextlib


def kill_process_tree(process: int) -> None:
    """Ends a process and all that it has started, at once, also where they are stopped. Waits for none of them."""
    import psutil  # takes 10 ms, which those that end by themselves can do without

    with contextlib.suppress(psutil.Error):  # it has ended meanwhile
        top = psutil.Process(process)
        for one in (*top.children(recursive=True), top):
            with contextlib.suppress(psutil.Error):
                one.kill()
