import hudson.model.Queue

/** A build's task, as the queue has it. */
class Job implements Queue.Task {
    String fullDisplayName = 'job'
    Queue.Task ownerTask = this
}
