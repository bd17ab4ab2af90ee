package hudson.init;

public enum InitMilestone { STARTED, COMPLETED }
