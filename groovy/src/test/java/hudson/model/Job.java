package hudson.model;

public abstract class Job {}
