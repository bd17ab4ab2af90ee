package hudson.model;

import java.io.PrintStream;
import java.io.PrintWriter;

public interface TaskListener {
    PrintStream getLogger();

    PrintWriter error(String message);
}
