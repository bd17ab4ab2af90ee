// Run by GroovyMain with src, the double of Jenkins and the client jar on the class path; an assertion that fails ends it.
// All that comes from outside: files of the home, and what a broker says.
import hudson.model.Hudson
import io.agentbroker.client.PrivateFile
import io.agentbroker.client.Replies
import io.agentbroker.client.Told
import io.agentbroker.wire.v1.AgentState
import io.agentbroker.wire.v1.HandshakeReply
import io.agentbroker.wire.v1.NodeRemoval
import io.agentbroker.wire.v1.Policy as WirePolicy
import io.agentbroker.wire.v1.PolicySet
import io.agentbroker.wire.v1.RequestAgentsReply
import io.agentbroker.wire.v1.AgentAnswer
import io.agentbroker.wire.v1.SyncNodesReply
import io.agentbroker.wire.v1.Wanted
import java.nio.file.Files
import java.nio.file.attribute.PosixFilePermissions
import java.util.logging.Handler

new Hudson(File.createTempDir())
tried = []
lines = []
Log.LOGGER.with {
    useParentHandlers = false
    addHandler([publish: { lines << it.message }, flush: {}, close: {}] as Handler)
}
folder = File.createTempDir()
check = { String sentence, Closure work ->
    lines.clear()
    work.call()
    tried << sentence
}
said = { Closure work ->
    try {
        work.call()
        'nothing'
    } catch (IllegalArgumentException error) {
        assert !error.message.contains('\n')
        error.message.replace(folder.path + '/', '')
    }
}
secret = { String text, String mode = 'rw-------' ->
    File file = new File(folder, 'token')
    file.setText(text, 'UTF-8')
    Files.setPosixFilePermissions(file.toPath(), PosixFilePermissions.fromString(mode))
    new PrivateFile('token_file', file.toPath())
}
settings = { String text, String encoding = 'UTF-8' ->
    File file = new File(folder, 'agentbroker.properties')
    file.setText(text, encoding)
    Settings.read(file)
}

check('a secret is read from a file that is private, with one word, whatever the end of its line') {
    ['word', 'word\n', 'word\r\n', ' word\n\n'].each { assert secret(it).word() == 'word' }
    assert said { secret('hush', 'rw-r--r--').word() } ==
            "token_file=token is open to others (mode 0644, rw-r--r--); run: chmod 600 ${folder}/token".replace(folder.path + '/', '')
    ['rw--w----', 'rw-----w-', 'rw-r-----', 'rwx--x---'].each { mode ->
        assert said { secret('hush', mode).word() }.contains("is open to others (mode ")
    }
    [['', 'is empty'], ['\n', 'is empty'], ['hush\nhush', 'has 2 lines'], ['hush hush', 'holds a space'],
     ['hüsh', 'not ASCII'], ['hush\u0007', 'not ASCII'], ['h' * 70_000, 'larger than 64 KiB']].each { text, words ->
        String answer = said { secret(text).word() }
        assert answer.contains(words) && !answer.contains('hush')
    }
    assert said { new PrivateFile('key_file', folder.toPath()).bytes() }.endsWith('is a directory')
    assert said { new PrivateFile('key_file', new File(folder, 'no').toPath()).bytes() } == 'key_file=no does not exist'
}

check('the properties are read as they were always, also with what editors leave in them') {
    Settings found = settings('\ufeff# a remark\r\nbroker = [::1]:7071\r\n! another\ncloud:mine\ntls=false\nca_file=/a\\\n   b\n\n')
    assert [found.broker, found.cloud, found.tls, found.caFile] == ['[::1]:7071', 'mine', false, '/ab']
    assert lines == []
    assert settings('broker=b.example.com:1\n').with { tls && cloud == 'agentbroker' && tokenFile.endsWith('/secrets/agentbroker.token') }
}

check('what is wrong with the properties is said with its line and what to do') {
    Map cases = [
            'tls=true\n'                        : 'there is no broker=HOST:PORT in it',
            '\nbroker=b\n'                      : 'line 2: broker=b is no HOST:PORT',
            'broker=b:x\n'                      : 'line 1: broker=b:x is no HOST:PORT',
            'broker=b:70000\n'                  : 'line 1: broker=b:70000 is no HOST:PORT',
            'broker=https://b:1\n'              : 'is no HOST:PORT',
            'broker=b:1\n#\ntls=maybe\n'        : 'line 3: tls=maybe is neither true nor false',
            'broker=b:1\ncloud=a/b\n'           : 'line 2: cloud=a/b cannot be the name of a cloud',
            'broker=b:1\ntls=true\nbroker=c:1\n': 'line 3: broker is there twice, on line 1 too; leave one of them',
            'broker=b:1\ncloud=\\u00zz\n'       : 'line 2: is no key=value',
            'broker=b:1\nalert_after_s=x\n'    : 'line 2: alert_after_s=x is no number of seconds',
            'broker=b:1\ntoken_file=\n'         : 'line 2: token_file= names no file']
    cases.each { text, words -> assert said { settings(text) }.contains(words) }
    assert said { settings('broker=b:1\ncloud=m\u00fcller\n', 'ISO-8859-1') } == 'it is not in UTF-8; save it in that encoding'
    assert said { Settings.read(new File(folder, 'none')) } == 'it does not exist; run `agentbroker init jenkins`'
    assert said { Settings.read(folder) }.contains('cannot be read')
}

check('a key that is not known is named with the nearest that is, and ignored') {
    assert settings('broker=b:1\ntoken_fil=x\nzzzzzz=1\n').broker == 'b:1'
    assert lines == ['agentbroker: agentbroker.properties: line 2: unknown key "token_fil" is ignored; did you mean "token_file"?',
                     'agentbroker: agentbroker.properties: line 3: unknown key "zzzzzz" is ignored; known: broker, name, cloud, tls, ca_file, ca, ' +
                             'cert_file, key_file, token_file, alert_after_s']
}

check('texts lose what is not for people, and have an end') {
    assert Told.line('a\u001b[31mred\u001b[0m\u0007 \u202eb\u200b\tc\nsecond') == 'ared b c'
    assert Told.text('one\r\ntwo\u0000\u001b]0;title\u0007!') == 'one\ntwo!'
    assert Told.text('x' * 10_000_000).length() == 16_000
    assert Told.line('x' * 10_000_000).length() == 300
    assert Told.line('<script>alert(1)</script>') == '<script>alert(1)</script>' // Jenkins escapes what it shows
    assert Told.code('AgentLost') == 'AgentLost' && Told.code('a b') == '' && Told.code('<b>') == ''
    assert Told.url('https://b.example.com/agents/') && !Told.url('javascript:alert(1)') && !Told.url('https://a"onclick=')
}

check('an agent that is told of has a name as agents have, and numbers that can be') {
    SyncNodesReply.Builder reply = SyncNodesReply.newBuilder()
    ['../../evil-abcdefgh', 'static', 'built-in', '', 'x' * 100_000, 'a/b-abcdefgh', 'linux-abcdefgh', 'linux-abcdefgh'].each {
        reply.addAgents(AgentState.newBuilder().setName(it).setExecutors(-1).setUses(-5).setWhy('a\nb').setRemoteFs('/a\u0000')
                .setRequestedAt(io.agentbroker.shaded.google.protobuf.Timestamp.newBuilder().setSeconds(Long.MAX_VALUE))
                .addAllLabels(['linux', 'a || b', '', 'x' * 1000]))
        reply.addRemove(NodeRemoval.newBuilder().setName(it).setReason('no code'))
    }
    reply.addAllUnknown(['mine', 'static'])
    reply.addWanted(Wanted.newBuilder().setPolicy('linux').setCount(1_000_000)).addWanted(Wanted.newBuilder().setCount(-1))
    Map found = Replies.sync(reply.build(), ['mine'] as Set)
    assert found.agents*.name == ['linux-abcdefgh'] && found.remove*.name == ['linux-abcdefgh']
    Map agent = found.agents[0]
    assert [agent.executors, agent.uses, agent.why, agent.remote_fs, agent.labels] == [1000L, 2147483647L, 'a', '', ['linux']]
    assert found.unknown == ['mine']
    assert found.remove[0].reason == ''
    assert found.wanted*.count == [1000L]
    assert found.left_out.startsWith('agents "../../evil-abcdefgh" is no name of an agent, agents "static"')
    assert found.left_out.endsWith('more') && found.left_out.length() < 400
}

check('of thousands of policies a thousand count, each once and with a prefix that a node may have') {
    PolicySet.Builder set = PolicySet.newBuilder()
    set.addPolicies(WirePolicy.newBuilder().setName('a/b').setNamePrefix('../x').addLabels('linux'))
    3.times { set.addPolicies(WirePolicy.newBuilder().setName('twice').setNamePrefix('pre')) }
    5000.times { set.addPolicies(WirePolicy.newBuilder().setName("p${it}".toString())) }
    Map found = Replies.handshake(HandshakeReply.newBuilder().setPolicies(set)
            .setSyncInterval(io.agentbroker.shaded.google.protobuf.Duration.newBuilder().setSeconds(-5)).setAgentPage('javascript:x').build())
    assert found.policies.size() == 1000
    assert found.policies.take(2)*.name_prefix == ['a-b', 'pre']
    assert [found.sync_interval, found.agent_page] == [0d, '']
}

check('answers for others than were asked for are not heard') {
    RequestAgentsReply reply = RequestAgentsReply.newBuilder().addAnswers(AgentAnswer.newBuilder().setName('static'))
            .addAnswers(AgentAnswer.newBuilder().setName('mine').setReason('<b>')).build()
    assert Replies.answers(reply, ['mine'] as Set) == [[name: 'mine', accepted: false, reason: '', message: '']]
}

check('a clock that differs, and what was left out, are said once with their size') {
    Remarks remarks = new Remarks()
    3.times { remarks.on([ahead_ms: 12_000_000L, left_out: 'agents "x"']) }
    assert lines.size() == 2
    assert lines[1].contains("the clock of this controller is 3 h 20 min ahead of the broker's")
    remarks.on([ahead_ms: -30_000L, left_out: ''])
    remarks.on([ahead_ms: -90_000L, left_out: ''])
    assert lines.size() == 3 && lines[2].contains('is 1 min 30 s behind')
}

check('administrators are told of a broker that is away for as long as the properties say, and of none that is there') {
    ['alert_after_s=0\n': [0, 1], 'alert_after_s=2.5\n': [2_400, 2_600], '': [299_000, 301_000]].each { line, ages ->
        Connection connection = new Connection(settings('broker=b:1\n' + line))
        BrokerMonitor monitor = new BrokerMonitor([connection])
        connection.since = System.currentTimeMillis() - (ages[1] as int)
        assert monitor.activated && monitor.lines[0].startsWith('Cloud agentbroker: the broker at b:1 has not been reached for ')
        connection.since = System.currentTimeMillis() - (ages[0] as int)
        connection.up = ages[0] == 0
        assert !monitor.activated
    }
}

println "edge: ${tried.size()} passed"
