"""The broker key: what it mints and seals, and every file that must not be used as one."""

import os
import threading
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag

from broker.errors import StoreUnavailable
from broker.keys import Keyring, open_keyring
from broker.testing.factories import agent_id

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
SECRET = "5" * 64


def test_what_was_sealed_is_unsealed_by_the_same_key_alone() -> None:
    sealed = Keyring(KEY).seal(SECRET)
    assert Keyring(KEY).unseal(sealed) == SECRET
    assert SECRET.encode() not in sealed
    with pytest.raises(StoreUnavailable, match="sealed with another broker key: restore the keys_dir") as raised:
        Keyring(OTHER_KEY).unseal(sealed)
    assert isinstance(raised.value.__cause__, InvalidTag)


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    keyring = Keyring(KEY)
    assert keyring.seal(SECRET) != keyring.seal(SECRET)


def test_a_sealed_secret_that_was_changed_is_refused() -> None:
    sealed = bytearray(Keyring(KEY).seal(SECRET))
    sealed[-1] ^= 1
    with pytest.raises(StoreUnavailable):
        Keyring(KEY).unseal(bytes(sealed))


def test_a_minted_secret_is_of_one_attempt_of_one_agent_and_one_key() -> None:
    keyring = Keyring(KEY)
    minted = {
        keyring.mint(agent_id(1), 1),
        keyring.mint(agent_id(1), 2),
        keyring.mint(agent_id(2), 1),
        Keyring(OTHER_KEY).mint(agent_id(1), 1),
    }
    assert len(minted) == 4
    assert all(len(one) == 64 and set(one) <= set("0123456789abcdef") for one in minted)
    assert keyring.mint(agent_id(1), 1) in minted


def test_a_keyring_shows_nothing_of_its_key() -> None:
    assert KEY.hex() not in repr(vars(Keyring(KEY)))
    assert KEY not in repr(Keyring(KEY)).encode()


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    keys_dir = tmp_path / "deep" / "keys"
    minted = open_keyring(keys_dir).mint(agent_id(1), 1)
    file = keys_dir / "broker.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert keys_dir.stat().st_mode & 0o777 == 0o700
    assert len(file.read_bytes()) == 32
    assert open_keyring(keys_dir).mint(agent_id(1), 1) == minted
    assert [p.name for p in keys_dir.iterdir()] == ["broker.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "broker.key"
    file.write_bytes(KEY)
    file.chmod(mode)
    with pytest.raises(StoreUnavailable) as raised:
        open_keyring(tmp_path)
    assert str(raised.value) == f"{file}: others may read it (mode {mode:04o}); run: chmod 600 {file}"


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_is_refused_and_left_as_it_is(tmp_path: Path, size: int) -> None:
    file = tmp_path / "broker.key"
    file.write_bytes(b"k" * size)
    file.chmod(0o600)
    with pytest.raises(StoreUnavailable, match=f"holds {size} bytes, not 32; restore it"):
        open_keyring(tmp_path)
    assert file.read_bytes() == b"k" * size


def test_a_keys_dir_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match=r"file/keys/broker\.key: .*must be able to read its keys_dir"):
        open_keyring(tmp_path / "file" / "keys")


def test_two_that_race_for_the_first_key_get_the_same(tmp_path: Path) -> None:
    for round_number in range(10):
        keys_dir, minted, start = tmp_path / str(round_number), list[str](), threading.Barrier(4)

        def race(keys_dir: Path = keys_dir, minted: list[str] = minted, start: threading.Barrier = start) -> None:
            start.wait()
            minted.append(open_keyring(keys_dir).mint(agent_id(1), 1))

        threads = [threading.Thread(target=race) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(minted) == 4
        assert len(set(minted)) == 1


def test_what_a_killed_broker_of_the_same_pid_has_left_is_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / f".broker.key.{os.getpid()}").write_bytes(b"half")
    open_keyring(tmp_path)
    assert len((tmp_path / "broker.key").read_bytes()) == 32


def test_a_database_is_opened_with_its_own_key_only(tmp_path: Path) -> None:
    made = open_keyring(tmp_path)
    assert open_keyring(tmp_path, made.fingerprint).mint(agent_id(1), 1) == made.mint(agent_id(1), 1)
    with pytest.raises(StoreUnavailable, match="not the key that the database was made with"):
        open_keyring(tmp_path, "0" * 16)


def test_a_lost_key_is_not_replaced_by_a_new_one(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="broker\\.key"):
        open_keyring(tmp_path, "0" * 16)
    assert list(tmp_path.iterdir()) == []
