import hudson.model.Job
import hudson.model.Queue
import jenkins.model.Jenkins

/** Whom an agent is asked for: the job by its full name, and its build by its URL, where it has one while it waits. */
class Origin {
    /** A name that does not change with what people call the job; what is no job is told as it is shown. */
    static String job(Queue.Task task) {
        Object owner = task.ownerTask
        owner instanceof Job ? owner.fullName : owner.fullDisplayName
    }

    /**
     * Of a pipeline's step: a build that waits in the queue has no number before it begins. Worked out when it is read,
     * by whoever sends it, since it may be loaded from disk for that; empty where it is not known.
     */
    static Object build(Queue.Task task) {
        task instanceof Job ? '' : "${-> url(task)}"
    }

    private static String url(Queue.Task task) {
        try {
            String root = Jenkins.get().rootUrl
            String path = task.url
            root && path =~ /\/\d+\/$/ ? root + path : ''
        } catch (Throwable failure) {
            Log.fine("the build of ${task.fullDisplayName} has no known URL: ${failure}")
            ''
        }
    }
}
