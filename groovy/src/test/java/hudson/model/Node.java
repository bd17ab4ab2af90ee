package hudson.model;

import hudson.model.labels.LabelAtom;
import hudson.model.queue.CauseOfBlockage;
import hudson.slaves.OfflineCause;
import java.util.Set;
import jenkins.model.Jenkins;
import net.sf.json.JSONObject;
import org.kohsuke.stapler.StaplerRequest2;

public abstract class Node {
    public enum Mode { NORMAL, EXCLUSIVE }

    private volatile OfflineCause temporaryCause;

    public abstract String getNodeName();

    public abstract int getNumExecutors();

    public abstract Mode getMode();

    protected abstract Computer createComputer();

    public Set<LabelAtom> getAssignedLabels() {
        return Label.parse(getLabelString() + " " + getNodeName());
    }

    public String getLabelString() {
        return "";
    }

    public final Computer toComputer() {
        return Jenkins.get().computerOf(this);
    }

    public boolean isAcceptingTasks() {
        return true;
    }

    public CauseOfBlockage canTake(Queue.BuildableItem item) {
        Label label = item.getAssignedLabel();
        boolean fits = label == null ? getMode() == Mode.NORMAL : label.matches(getAssignedLabels());
        return fits ? null : CauseOfBlockage.fromMessage(new jenkins.util.NonLocalizable("another label"));
    }

    public OfflineCause getTemporaryOfflineCause() {
        return temporaryCause;
    }

    public void setTemporaryOfflineCause(OfflineCause cause) {
        temporaryCause = cause;
    }

    public Node reconfigure(StaplerRequest2 request, JSONObject form) {
        throw new UnsupportedOperationException();
    }
}
