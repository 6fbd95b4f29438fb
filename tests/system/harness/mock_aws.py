"""moto's server: AWS by code that is neither ours nor Amazon's, with its IAM switched on.

Once `check_signatures()` has been called it verifies the signature of every request, of Athena, STS
and CloudWatch alike, against keys that its own IAM has made, and looks for the action in the
policies of their user. It knows no resources: a policy must be for "*"; and it looks for CloudWatch's
actions under the name of the signature, `monitoring:`.
"""

import json
import subprocess
import sys
from pathlib import Path

import botocore.session
import requests
from botocore.config import Config

from harness.kafka import DIE_WITH_PARENT
from harness.program import clean_environment
from harness.wait import free_port, wait_until

REGION = "eu-central-1"


def as_moto_reads_them(actions):
    return sorted(a.replace("cloudwatch:", "monitoring:") for a in actions)


class Moto:
    def __init__(self, directory):
        self.log_path = Path(directory) / "moto.log"
        self.url = f"http://127.0.0.1:{free_port()}"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*DIE_WITH_PARENT, sys.executable, Path(__file__).with_name("mock_aws_server.py"),
                 self.url.rsplit(":", 1)[1]],
                env=clean_environment({"PYTHONDONTWRITEBYTECODE": "1"}, directory), cwd=directory,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(self._answers, 30, lambda: "moto:\n" + self.log_path.read_text()[-4000:])
        self.keys = {}  # of the last user

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError("moto ended:\n" + self.log_path.read_text()[-4000:])
        try:
            return requests.get(self.url + "/moto-api/data.json", timeout=10).ok
        except requests.ConnectionError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def data(self, service, kind):
        """All that it holds of a kind, whoever asks."""
        return requests.get(self.url + "/moto-api/data.json", timeout=10).json()[service][kind]

    def check_signatures(self, on=True):
        """From now on, or (for set-up and for looking) not."""
        answer = requests.post(
            self.url + "/moto-api/reset-auth", data="0" if on else "inf", timeout=10,
            headers={"Content-Type": "text/plain"},  # of a form it would read nothing
        )  # fmt: skip
        assert answer.json()["status"] == "ok"

    def client(self, service, keys=None):
        """Amazon's own client. Without `keys`: anybody, while signatures are not checked."""
        keys = keys or {"AccessKeyId": "anybody", "SecretAccessKey": "anything"}
        return botocore.session.Session().create_client(
            service, region_name=REGION, endpoint_url=self.url,
            aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"],
            config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip

    def make_user(self, name, actions):
        """An IAM user that may do these, or nothing; its access key."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if actions:
            self.set_policy(name, actions)
        self.keys = iam.create_access_key(UserName=name)["AccessKey"]
        return self.keys

    def set_policy(self, name, actions):
        statement = {"Effect": "Allow", "Action": as_moto_reads_them(actions), "Resource": "*"}
        self.client("iam").put_user_policy(
            UserName=name, PolicyName="it",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )  # fmt: skip

    def aws_env(self):
        """The environment that brings an AWS client here, as the last user."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": self.keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": None,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
