import os

import pytest

import labs


@pytest.fixture(scope="module")
def lab():
    with labs.lab() as made:
        yield made


@pytest.fixture(params=["software", "tpm"] if os.environ.get("WALK") == "all" else ["software"])
def protection(request):
    """Of the key; both with tests/run --all."""
    return request.param


@pytest.fixture
def healed(walk):
    """Afterwards nothing of a walk is armed any more, and the responder is as it was."""
    yield
    walk.arm(0)
    walk.lab.ndes("reset")


@pytest.fixture
def ndes(lab):
    """Switches of the responder, back at their defaults afterwards."""
    yield lab.ndes
    lab.ndes("reset")
