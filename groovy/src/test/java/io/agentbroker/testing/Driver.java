package io.agentbroker.testing;

import groovy.lang.GroovyShell;
import hudson.ExtensionList;
import hudson.model.Executor;
import hudson.model.Hudson;
import hudson.model.Label;
import hudson.model.Node;
import hudson.model.Queue;
import hudson.model.queue.QueueListener;
import hudson.remoting.Channel;
import hudson.slaves.NodeProvisioner;
import hudson.slaves.SlaveComputer;
import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import jenkins.model.Jenkins;
import jenkins.util.Timer;

/**
 * A controller without a controller: runs the init script of a home as Jenkins does, and obeys lines on its standard
 * input, each answered by one line: queue LABEL COUNT, cancel [COUNT], online NAME, lost NAME, finish NAME, delete NAME, log NAME,
 * again (runs the init script once more), review LABEL (and tells its ns of CPU), state.
 */
public final class Driver {
    private Driver() {}

    public static void main(String[] arguments) throws Exception {
        File home = new File(arguments[0]);
        Jenkins jenkins = new Hudson(home);
        Timer.get().scheduleWithFixedDelay(jenkins.getQueue()::maintain, 10, 10, TimeUnit.MILLISECONDS);
        run(jenkins);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(obey(jenkins, line.split("\t")));
            System.out.flush();
        }
        System.exit(0);
    }

    private static void run(Jenkins jenkins) throws Exception {
        new GroovyShell(jenkins.getPluginManager().uberClassLoader)
                .evaluate(new File(jenkins.getRootDir(), "init.groovy.d/agentbroker.groovy"));
    }

    private static String obey(Jenkins jenkins, String[] words) throws Exception {
        switch (words[0]) {
            case "queue" -> {
                for (int i = 0; i < Integer.parseInt(words[2]); i++) {
                    jenkins.getQueue().schedule(() -> "job", words[1].isEmpty() ? null : Label.expression(words[1]));
                }
            }
            case "cancel" -> {
                List<Queue.BuildableItem> items = jenkins.getQueue().getBuildableItems();
                int count = words.length > 1 ? Math.min(Integer.parseInt(words[1]), items.size()) : items.size();
                for (int i = 0; i < count; i++) { // from all over the queue
                    jenkins.getQueue().cancel(items.get(i * items.size() / count));
                }
            }
            case "online" -> {
                SlaveComputer computer = computer(words[1]); // none any more, where it was given back just now
                if (computer != null) {
                    computer.channelIs(new Channel());
                }
            }
            case "lost" -> computer(words[1]).channelIs(null);
            case "finish" -> computer(words[1]).getExecutors().forEach(Executor::finish);
            case "log" -> {
                SlaveComputer computer = computer(words[1]); // none yet, just after its node has come
                return quoted(computer == null ? "" : computer.log());
            }
            case "again" -> run(jenkins);
            case "review" -> {
                return Long.toString(Label.expression(words[1]).nodeProvisioner.review());
            }
            case "delete" -> jenkins.removeNode(jenkins.getNode(words[1]));
            default -> {
                return state(jenkins);
            }
        }
        return "{}";
    }

    private static String quoted(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n").replace("\t", "\\t") + '"';
    }

    private static SlaveComputer computer(String name) {
        Node node = Jenkins.get().getNode(name);
        return node == null ? null : (SlaveComputer) node.toComputer();
    }

    private static String state(Jenkins jenkins) {
        String nodes = jenkins.getNodes().stream().map(Driver::describe).collect(Collectors.joining(", "));
        long clouds = java.util.stream.StreamSupport.stream(jenkins.clouds.spliterator(), false).count();
        int strategies = ExtensionList.lookup(NodeProvisioner.Strategy.class).size();
        int listeners = ExtensionList.lookup(QueueListener.class).size();
        return "{\"clouds\": %d, \"strategies\": %d, \"listeners\": %d, \"waiting\": %d, \"nodes\": {%s}}".formatted(
                clouds, strategies, listeners, jenkins.getQueue().getBuildableItems().size(), nodes);
    }

    private static String describe(Node node) {
        SlaveComputer computer = (SlaveComputer) node.toComputer();
        boolean there = computer != null;
        return "\"%s\": {\"online\": %b, \"busy\": %b, \"connecting\": %b, \"cause\": \"%s\"}".formatted(
                node.getNodeName(), there && computer.isOnline(), there && !computer.isIdle(),
                there && computer.isConnecting(), there ? computer.getOfflineCauseReason().replace('"', '\'') : "");
    }
}
