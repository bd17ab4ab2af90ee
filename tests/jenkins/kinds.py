"""Stand-ins, made of Jenkins' core alone, for kinds of jobs that plugins bring: what queue and clouds see of them.

They are no proof for the plugins themselves: a step of a pipeline (a task that is no job, with the job as its owner), a
multi-configuration build (a light task that waits for others which it has queued), a Maven build (a project class of
its own whose builds are ordinary ones).
"""

from tests.jenkins.rig import Rig

STAND_INS = """
import hudson.model.*
import hudson.model.queue.*
import jenkins.model.Jenkins

class StandInTask implements Queue.TransientTask {
    String name; String label; int ms = 500; Queue.Task owner; Closure body
    String getDisplayName() { name }
    String getFullDisplayName() { name }
    String getUrl() { 'stand-in/' + name }
    Label getAssignedLabel() { label ? Label.get(label) : null }
    Queue.Task getOwnerTask() { owner ?: this }
    boolean isConcurrentBuild() { true }
    Collection getSubTasks() { [this] }
    Queue.Executable createExecutable() { new StandInRun(this) }
}
class StandInLightTask extends StandInTask implements Queue.FlyweightTask {}
class StandInRun implements Queue.Executable {
    final StandInTask task
    StandInRun(StandInTask task) { this.task = task }
    SubTask getParent() { task }
    long getEstimatedDuration() { -1 }
    void run() {
        StandIns.note(task.name, Executor.currentExecutor().owner.name)
        task.body?.call()
        Thread.sleep(task.ms)
    }
}
class StandIns {
    static synchronized void note(String what, String node) {
        new File(Jenkins.get().rootDir.parentFile, 'stand-ins') << "${what} ${node}\\n"
    }
    static step(String name, String label) {
        queue(new StandInTask(name: name + '-step', label: label, owner: new StandInTask(name: name)))
    }
    static matrix(String name, String parentLabel, String label, int configurations) {
        queue(new StandInLightTask(name: name, label: parentLabel, body: {
            (1..configurations).collect {
                queue(new StandInTask(name: "${name}-${it}".toString(), label: label)).future
            }*.get()
        }))
    }
    static queue(StandInTask task) { Jenkins.get().queue.schedule2(task, 0, []).item }
}
class MavenLikeJob extends FreeStyleProject {
    String label
    MavenLikeJob(String name, String label) { super(Jenkins.get(), name); this.label = label }
    Label getAssignedLabel() { Label.get(label) }
    boolean scheduleBuild(Cause cause) { scheduleBuild(0, cause) }
    boolean scheduleBuild(int quiet, Cause cause) { scheduleBuild2(quiet, cause) != null }
    boolean isHoldOffBuildUntilSave() { false }
    void save() {}
    protected Class getBuildClass() { MavenLikeBuild }
    static MavenLikeJob make(String name, String label) {
        def job = new MavenLikeJob(name, label)
        job.rootDir.mkdirs()
        job.onCreatedFromScratch()
        Jenkins.get().add(job, name)
        job
    }
}
class MavenLikeBuild extends FreeStyleBuild {
    MavenLikeBuild(MavenLikeJob job) { super(job) } // Jenkins looks for one that takes just this class
    void save() {}
}
"""


def run_stand_in(rig: Rig, groovy: str) -> None:
    """Runs a line with the stand-ins at hand."""
    said = rig.controller.script(STAND_INS + groovy)
    assert "Exception" not in said, said


def stand_ins_run(rig: Rig) -> dict[str, str]:
    """Names of the tasks that have begun, each with its node."""
    file = rig.root / "stand-ins"
    return dict(line.split(" ") for line in file.read_text().splitlines()) if file.exists() else {}
