import pytest
from redis._parsers.base import BaseParser
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.queue.connection.answers import nobody_can_write, word

OLD = "ERR Error running script (call to f_0d3f): @user_script:17: "


def answered(line):
    """The error the client makes of a line of the server."""
    error = BaseParser.parse_error(line)
    assert isinstance(error, ResponseError)
    return error


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", "OOM"),
        ("READONLY You can't write against a read only replica. script: 0d3f, on @user_script:17.", "READONLY"),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "MASTERDOWN"),
        ("MISCONF Errors writing to the AOF file: No space left on device", "MISCONF"),
        ("CLUSTERDOWN The cluster is down", "CLUSTERDOWN"),
        ("NOREPLICAS Not enough good replicas to write.", "NOREPLICAS"),
        ("NOPERM No permissions to access a key", "NOPERM"),
        ("BUSY Redis is busy running a script.", "BUSY"),
        ("MOVED 3999 127.0.0.1:6381", "MOVED"),
        ("ASK 3999 127.0.0.1:6381", "ASK"),
        ("TRYAGAIN Multiple keys request during rehashing of slot", "TRYAGAIN"),
        ("CROSSSLOT Keys in request don't hash to the same slot", "CROSSSLOT"),
        ("NEWSTATE of a server to come", "NEWSTATE"),
        (OLD + "@user_script: 17: -OOM command not allowed when used memory > 'maxmemory'.", "OOM"),
        (OLD + "@user_script: 17: -NOREPLICAS Not enough good replicas to write.", "NOREPLICAS"),
        (OLD + "@user_script: 17: -READONLY You can't write against a read only replica.", "READONLY"),
        (OLD + "@user_script: 17: The user executing the script can't run this command or subcommand", "ERR"),
        ("ERR ACL failure in script: User u has no permissions to run 'xadd' script: on @user_script:17.", "ERR"),
        (OLD + "Script attempted to access a non local key in a cluster node", "ERR"),
        ("ERR Error running script: @user_script:3: Script killed by user with SCRIPT KILL...", "ERR"),
        ("@user_script: 26: -OOM command not allowed when used memory > 'maxmemory'.", "OOM"),
        ("ERR unknown command 'EVALSHA', with args beginning with: '…'", "ERR"),
        ("ERR upstream failure of a proxy", "ERR"),
        ("said without a code", "ERR"),
    ],
)
def test_a_state_of_the_server_stops_everybody(line, code):
    error = answered(line)
    assert nobody_can_write(error)
    assert word(error) == code


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("WRONGTYPE Operation against a key holding the wrong kind of value script: on @user_script:17.", "WRONGTYPE"),
        (OLD + "WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE"),
        ("ERR wrong number of arguments for 'xadd' command script: on @user_script:17.", "ERR"),
        (OLD + "ERR wrong number of arguments for XADD", "ERR"),
        (OLD + "user_script:17: too many results to unpack", "ERR"),
        ("ERR user_script:17: too many results to unpack script: 0d3f, on @user_script:17.", "ERR"),
    ],
)
def test_what_the_script_stumbled_over_is_the_entrys_own_fault(line, code):
    error = answered(line)
    assert not nobody_can_write(error)
    assert word(error) == code


def test_errors_on_the_way_are_told_by_their_names_or_the_servers_word():
    assert word(RedisTimeoutError("to 10.0.0.1")) == "TimeoutError"
    assert word(ConnectionResetError()) == "ConnectionResetError"
    assert word(BaseParser.parse_error("LOADING Redis is loading the dataset in memory")) == "LOADING"
    assert word(BaseParser.parse_error("WRONGPASS invalid username-password pair")) == "WRONGPASS"


def test_what_a_script_hands_on_is_about_the_entry_unless_it_is_about_the_server():
    assert not nobody_can_write(answered("ERR wrong number of arguments for 'xadd' command"), handed_on=True)
    assert nobody_can_write(
        answered("ERR ACL failure in script: User u has no permissions to run 'xadd'"), handed_on=True
    )
    assert nobody_can_write(answered("OOM command not allowed when used memory > 'maxmemory'."), handed_on=True)
