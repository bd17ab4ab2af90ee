package hudson.model;

public abstract class Run<JobT, RunT> implements Queue.Executable {}
