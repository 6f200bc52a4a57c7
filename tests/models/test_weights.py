"""Names of networks with the weights of a file, and what is known of the files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

from auditor.core.errors import UnreadableError, UnsafeFileError, UsageError  # noqa: E402
from auditor.core.hashing import hash_file  # noqa: E402
from auditor.models.registry import short_name, split_variant  # noqa: E402
from auditor.models.weights import IMAGENET, PUBLISHED, open_weights, read_header, read_state  # noqa: E402
from tests.colours import INPUT, NETWORK, save_network  # noqa: E402


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return save_network(tmp_path / "net.safetensors")


def test_a_name_says_network_file_and_images(file: Path) -> None:
    weights = open_weights(f"{NETWORK}@{file}{INPUT}")
    assert (weights.network, weights.file, weights.sha256) == (NETWORK, str(file), hash_file(file))
    assert (weights.mean, weights.std, weights.size) == ((0.5,) * 3, (0.25,) * 3, 16)
    assert (weights.source, weights.licence, weights.seen, weights.in_sample) == ("tests", "none", "train", False)
    other = open_weights(f"{NETWORK}@{file}?mean=imagenet&std=imagenet&size=32&seen=none&in_sample=yes")
    assert (other.mean, other.std) == IMAGENET
    assert (other.size, other.seen, other.in_sample) == (32, "none", True)
    assert weights.facts()["file"] == str(file)
    assert "file" not in weights.recipe()
    assert weights.recipe()["sha256"] == hash_file(file)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("{net}@{file}", "mean, std, size"),
        ("{net}@{file}?mean=imagenet", "not known: std, size"),
        ("{net}@{file}?mean=124/116/104&std=imagenet&size=32", "divide by 255"),
        ("{net}@{file}?mean=.5/.5&std=imagenet&size=32", "three numbers"),
        ("{net}@{file}?mean=.5/.5/nan&std=imagenet&size=32", "three numbers"),
        ("{net}@{file}?mean=.5/.5/.5&std=.5/0/.5&size=32", "std must be"),
        ("{net}@{file}?mean=a/b/c&std=imagenet&size=32", "no number"),
        ("{net}@{file}?size=0", "from 1 to 4096"),
        ("{net}@{file}?size=32.5", "from 1 to 4096"),
        ("{net}@{file}?scale=2", "unknown option 'scale'"),
        ("{net}@{file}?size=32&size=32", "given twice"),
        ("{net}@{file}?size", "not key=value"),
        ("{net}@{file}?in_sample=perhaps", "neither yes nor no"),
        ("{net}@{file}?seen=", "names no split"),
        ("{net}@0.9", "does not name a network and a file"),
        ("{net}@weights.zip", "does not name a network and a file"),
        ("@{file}", "does not name a network and a file"),
    ],
)
def test_what_is_not_said_or_said_wrongly(file: Path, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        open_weights(name.format(net=NETWORK, file=file))


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "folder.pth").mkdir()
    (tmp_path / "text.safetensors").write_text("no weights")
    for name, words in (("absent.pth", "No such file"), ("folder.pth", "a folder"), ("text.safetensors", "as weights")):
        with pytest.raises(UnreadableError, match=words):
            open_weights(f"{NETWORK}@{tmp_path / name}{INPUT}")


def test_what_auditor_wrote_into_a_file_is_what_holds(tmp_path: Path) -> None:
    facts = {"input_mean": [127.5, 102, 51], "input_std": [51, 51, 51], "input_size": [24, 24], "n_classes": 3}
    state = {"a": torch.zeros(2)}
    safetensors.save_file(state, tmp_path / "kept.safetensors", metadata={"auditor": json.dumps(facts)})
    weights = open_weights(f"{NETWORK}@{tmp_path / 'kept.safetensors'}")
    assert (weights.mean, weights.std, weights.size) == ((0.5, 0.4, 0.2), (0.2, 0.2, 0.2), 24)
    assert open_weights(f"{NETWORK}@{tmp_path / 'kept.safetensors'}?size=32").size == 32
    for wrong in ({"input_std": [0, 1, 1]}, {"input_mean": "dark"}, {"input_size": []}, {"input_size": [10**9]}):
        safetensors.save_file(state, tmp_path / "bad.safetensors", metadata={"auditor": json.dumps(facts | wrong)})
        with pytest.raises((UnreadableError, UsageError), match="header of the file"):
            open_weights(f"{NETWORK}@{tmp_path / 'bad.safetensors'}")
    assert read_header(save_network(tmp_path / "plain.pth")) == {}


def test_names_in_reports_hold_the_beginning_of_the_hash(file: Path) -> None:
    digest = hash_file(file).removeprefix("sha256:")[:8]
    assert short_name(f"{NETWORK}@{file}{INPUT}") == f"{NETWORK}@{digest}"
    assert short_name(f"rd:resnet56@{file}@0.9") == f"rd:resnet56@{digest}@0.9"
    assert short_name(f"ftwt:vgg16_bn:w0.25@{file}{INPUT}@f0.4") == f"ftwt:vgg16_bn:w0.25@{digest}@f0.4"
    assert short_name("rd:resnet20@0.8") == "rd:resnet20@0.8"
    assert open_weights(f"{NETWORK}@{file}{INPUT}").name == f"{NETWORK}@{digest}"
    with pytest.raises(UnreadableError):
        short_name("resnet56@absent.pth")
    assert split_variant(f"vgg16_bn:w0.25@{file}") == ("vgg16_bn", "w0.25")
    assert split_variant(f"resnet56@{file}") == ("resnet56", "")


def test_states_in_every_usual_form(tmp_path: Path) -> None:
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}
    wrapped = {f"module.{name}": value for name, value in state.items()}
    forms = {
        "plain.pth": state,
        "wrapped.th": {"state_dict": wrapped, "best_prec1": 92.5},
        "other.pt": {"model": state},
    }
    for name, content in forms.items():
        torch.save(content, tmp_path / name)
    safetensors.save_file(state, tmp_path / "safe.safetensors")
    for name in (*forms, "safe.safetensors"):
        found = read_state(tmp_path / name)
        assert found.keys() == state.keys()
        assert all(torch.equal(found[key], state[key]) for key in state)
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"epoch": 3}, tmp_path / "numbers.pth")
    for name in ("list.pth", "numbers.pth"):
        with pytest.raises(UnreadableError, match="holds no weights by name"):
            read_state(tmp_path / name)


class _Runs:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("ran"),))


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in (("a.pth", _Runs()), ("b.bin", {"state_dict": _Runs()}), ("c.pt", torch.nn.Linear(2, 2))):
        torch.save(content, tmp_path / name)
        with pytest.raises(UnsafeFileError, match="could run code"):
            read_state(tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_published_files_are_known_by_their_content(depth: int, data_dir: Path) -> None:
    file = data_dir / "weights" / "cifar10" / f"resnet{depth}.safetensors"
    weights = open_weights(f"resnet{depth}@{file}")
    assert (weights.mean, weights.std, weights.size, weights.seen) == (*IMAGENET, 32, "train")
    assert weights.source == "akamaster/pytorch_resnet_cifar10"
    assert PUBLISHED[weights.sha256].network == f"resnet{depth}"
    with pytest.raises(UsageError, match=f"the weights of resnet{depth}, not of resnet110"):
        open_weights(f"resnet110@{file}")
