"""`mailroom token first`: what the bootstrap of Compose runs, at each start."""

from pathlib import Path

from click.testing import CliRunner

from cli.main import main
from mailroom.storage.database import Db
from tests.support.system import System


def test_a_token_is_made_once_and_anew_where_it_is_let_in_no_more(system: System, db: Db, tmp_path: Path) -> None:
    path = tmp_path / "admin-token"

    def kept() -> str:
        done = CliRunner().invoke(main, ["token", "first", "--file", str(path)], env=system.environment)
        assert done.output == f"{path}\n"
        return path.read_text()

    first = kept()
    again = kept()
    db.tokens.delete_many({})

    assert first == again
    assert kept() != first
    assert path.stat().st_mode & 0o777 == 0o600
    assert db.tokens.count_documents({}) == 1
