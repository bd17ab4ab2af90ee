import hudson.model.TaskListener
import java.lang.reflect.Field

/**
 * The log of the build that a waiting step of a pipeline belongs to.
 *
 * The step's task is `ExecutorStepExecution$PlaceholderTask` of workflow-durable-task-step. It is known by its shape alone,
 * so this works without the pipeline plugins, and says no more than nothing when they change: a field `context` with
 * `isReady()` and `get(Class)`, as the step itself asks it for its listener; else what `getNode()` leads to.
 */
class RunListener {
    private static final Map<Class, List<Field>> FIELDS = Collections.synchronizedMap(new WeakHashMap<Class, List<Field>>())

    /** Whether a task has a log to write to while it waits. A freestyle build has none. */
    static boolean has(Object task) {
        try {
            task != null && !fieldOf(task.getClass()).empty
        } catch (Throwable failure) {
            Log.fine("whether ${task.getClass().name} has a log is not known: ${failure}")
            false
        }
    }

    /** May read from a disk. Null when the build is not ready to be written to, or not any more. */
    static TaskListener of(Object task) {
        try {
            Object context = fieldOf(task.getClass())[0].get(task)
            if (context == null || !context.isReady()) { // after a restart: its pipeline is still being read
                return null
            }
            Object found = context.get(TaskListener)
            return found instanceof TaskListener ? (TaskListener) found : ofRun(task)
        } catch (Throwable failure) {
            Log.fine("the log of ${task.getClass().name} cannot be reached by its context: ${failure}")
            return ofRun(task)
        }
    }

    private static TaskListener ofRun(Object task) {
        try {
            Object found = task.getNode()?.getExecution()?.getOwner()?.getListener()
            found instanceof TaskListener ? (TaskListener) found : null
        } catch (Throwable failure) {
            Log.fine("the log of ${task.getClass().name} cannot be reached: ${failure}")
            null
        }
    }

    private static List<Field> fieldOf(Class type) {
        FIELDS.computeIfAbsent(type) { Class of ->
            for (Class one = of; one != null && one != Object; one = one.superclass) {
                Field field = one.declaredFields.find { it.name == 'context' }
                if (field != null && one.name.endsWith('PlaceholderTask')) {
                    field.accessible = true
                    return [field]
                }
            }
            []
        }
    }
}
