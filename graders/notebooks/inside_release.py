"""Makes a notebook's release version with nbgrader's API. Runs in the notebook environment.

``inside_release.py FOLDER``: reads ``FOLDER/source/lab/*.ipynb``, writes ``FOLDER/release/lab/``.
"""

import logging
import sys


def main(folder: str) -> int:
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    config = Config()
    config.CourseDirectory.root = folder
    config.ClearSolutions.code_stub = {"python": "raise NotImplementedError()"}
    api = NbGraderAPI(config=config)
    api.log.setLevel(logging.ERROR)
    result = api.generate_assignment("lab", create=True)
    if not result["success"]:
        print(result.get("log") or result.get("error"), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
