"""A real S3 protocol server on the loopback address, with keys that open nothing else."""

from __future__ import annotations

import itertools
import logging
import threading
from contextlib import contextmanager

import boto3
from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

BUCKET = "corpora"
REGION = "us-east-1"


class S3Server:
    """The server, and the environment a program needs to reach it.

    environment: variables for keys, region and endpoint.
    """

    def __init__(self):
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "opens-nothing-else",
            "AWS_SECRET_ACCESS_KEY": "nor-does-this",
            "AWS_REGION": REGION,
        }
        # Amazon's check for If-None-Match and its write are one; this server's are two.
        app, one_at_a_time = self._server._server.app, threading.Lock()

        def atomic(environ, start_response):
            if environ["REQUEST_METHOD"] != "PUT":
                return app(environ, start_response)
            with one_at_a_time:
                return app(environ, start_response)

        self._server._server.app = atomic
        self._number = itertools.count(1)
        self.client("s3").create_bucket(Bucket=BUCKET)

    def client(self, service):
        """Give Amazon's own client for a service of this server."""
        e = self.environment
        return boto3.client(
            service,
            endpoint_url=e["AWS_ENDPOINT_URL"],
            region_name=REGION,
            aws_access_key_id=e["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=e["AWS_SECRET_ACCESS_KEY"],
        )

    def new_address(self):
        """Give an address where nothing is yet."""
        return f"s3://{BUCKET}/store-{next(self._number)}"

    @contextmanager
    def strict(self):
        """Let the server check keys and permissions; gives the keys of a user who may nothing."""
        user = f"user-{next(self._number)}"
        iam = self.client("iam")
        iam.create_user(UserName=user)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        before = settings.INITIAL_NO_AUTH_ACTION_COUNT
        settings.INITIAL_NO_AUTH_ACTION_COUNT = ActionAuthenticatorMixin.request_count = 0
        try:
            yield {
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            }
        finally:
            settings.INITIAL_NO_AUTH_ACTION_COUNT = before

    def stop(self):
        """End the server."""
        self._server.stop()
