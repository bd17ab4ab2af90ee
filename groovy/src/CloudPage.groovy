import hudson.slaves.Cloud
import io.agentbroker.client.BrokerClient
import java.time.Instant
import java.time.ZoneId
import java.time.format.DateTimeFormatter

/** The cloud's page, as plain text and lists: views/BrokerCloud/main.jelly shows it, and escapes it. */
class CloudPage {
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern('yyyy-MM-dd HH:mm:ss z').withZone(ZoneId.systemDefault())
    private static final int MOST_STARTING = 100

    private final Fleet fleet
    private final Connection connection
    private final FleetGlance glance
    private final Map told
    private final boolean allowed

    CloudPage(BrokerCloud cloud, Fleet fleet, FleetGlance glance) {
        this.fleet = fleet
        this.glance = glance
        connection = fleet.link.connection
        glance.look()
        told = glance.answer ?: [pools: [], policies: [], failures: [], page_url: '']
        allowed = cloud.getACL().hasPermission(Cloud.PROVISION)
    }

    boolean isUp() {
        connection.up
    }

    String getState() {
        connection.up ? 'connected' : (connection.problem ? 'not connected' : 'not connected yet')
    }

    String getSince() {
        "since ${time(connection.since)}, for ${BuildWords.age(System.currentTimeMillis() - connection.since)}"
    }

    String getBroker() {
        connection.settings.broker
    }

    /** What the broker says of itself, and which files Jenkins has. */
    String getVersions() {
        "${connection.version ? "broker ${connection.version}" : 'broker not known yet'}; files in Jenkins ${BrokerClient.VERSION}"
    }

    String getController() {
        connection.controller
    }

    String getGateway() {
        connection.gatewayUrl
    }

    String getLastError() {
        connection.problem ? "${time(connection.problemAt)}: ${connection.problem}" : ''
    }

    /** Why pools, policies' counts and failures below are old or missing; empty when they are new. */
    String getOutdated() {
        if (glance.unknown) {
            return 'This broker is older than this page and does not tell of pools and failures: what Jenkins itself knows follows.'
        }
        if (!glance.problem) {
            return ''
        }
        String what = glance.answer == null ? 'Nothing is known of pools and failures' :
                "What follows of pools and failures is of ${time(glance.answeredAt)}"
        "${what}: ${glance.problem}"
    }

    /** The broker's own page; empty where none is known. */
    String getLink() {
        web(told.page_url)
    }

    boolean isMayLaunch() {
        allowed && connection.up
    }

    /** By name: those that Jenkins knows, in their order, with what the broker tells of them. */
    List<Map> getPolicies() {
        Map<String, Map> more = told.policies.collectEntries { [it.name, it] }
        fleet.policies.collect { Policy policy ->
            Map state = more[policy.name]
            [name   : policy.name,
             labels : policy.labels.join(' ') + (policy.acceptUnlabelled ? ' (and builds without a label)' : ''),
             pools  : state?.pools?.join(', ') ?: '',
             agents : state == null ? "${fleet.all().count { it.policy == policy.name }}".toString() : of(state.agents, state.agents_cap),
             waiting: state?.waiting ?: 0,
             warm   : state?.warm_wanted ? "${state.warm} of ${state.warm_wanted}".toString() : '',
             remark : [BuildWords.clean(state?.remark), state?.budget ? "budget: ${BuildWords.clean(state.budget)}" : ''].findAll().join('; ')]
        }
    }

    List<Map> getPools() {
        told.pools.collect {
            [name: it.name, backend: it.backend, agents: of(it.agents, it.agents_cap), starting: of(it.starting, it.starting_cap),
             state: BuildWords.clean(it.state), why: because(it)]
        }
    }

    /** Why a pool is as it is, who made it so, and until when. */
    private static String because(Map pool) {
        String by = pool.by ? "by ${BuildWords.clean(pool.by)}" : ''
        String until = pool.until ? "until ${BuildWords.at(pool.until as long)}" : ''
        [BuildWords.clean(pool.why), [by, until].findAll().join(' ')].findAll().join(', ')
    }

    /** Agents that are not online yet, the oldest first. */
    List<Map> getStarting() {
        starting(fleet).sort { it.serial }.take(MOST_STARTING).collect {
            [name: it.nodeName, policy: it.policy, progress: it.progress, why: BuildWords.clean(it.why), link: web(it.link),
             wanted: it.cause == 'QUEUE' ? 'a build' : (it.cause == 'WARM' ? 'the stock of ready agents' : 'launched by hand')]
        }
    }

    static List<BrokerAgent> starting(Fleet fleet) {
        fleet.all().findAll { !it.everOnline && !it.gone }
    }

    List<Map> getFailures() {
        told.failures.collect {
            [at: time(it.at as long), agent: it.agent, policy: it.policy, pool: it.pool, reason: it.reason,
             message: BuildWords.clean(it.message), hint: BuildWords.clean(it.hint),
             link: connection.agentPage ? web(connection.agentPage + it.agent) : '']
        }
    }

    private static String of(Object count, Object cap) {
        cap ? "${count} of ${cap}" : "${count}"
    }

    static String time(long ms) {
        TIME.format(Instant.ofEpochMilli(ms))
    }

    /** Only what a browser may follow without harm. */
    private static String web(Object url) {
        url?.toString() ==~ /https?:\/\/.*/ ? url.toString() : ''
    }
}
