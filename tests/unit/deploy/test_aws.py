"""The example for AWS: a config without a fault, and the policy that belongs to it."""

from pathlib import Path

from click.testing import CliRunner

from broker.cli.config import config
from broker.cli.iam import iam

AWS = Path(__file__).parents[3] / "deploy" / "aws"
TOKEN = {"AGENTBROKER_MAIN_TOKEN_SHA256": "0" * 64}


def test_the_config_has_no_fault() -> None:
    checked = CliRunner().invoke(config, ["check", "--strict", str(AWS / "broker.yaml")], env=TOKEN)
    assert checked.exit_code == 0, checked.output


def test_the_policy_is_the_one_of_the_config() -> None:
    made = CliRunner().invoke(iam, ["aws", "--config", str(AWS / "broker.yaml")], env=TOKEN)
    assert made.exit_code == 0, made.output
    assert made.stdout == (AWS / "iam.json").read_text(), "run: agentbroker iam aws --config deploy/aws/broker.yaml"
