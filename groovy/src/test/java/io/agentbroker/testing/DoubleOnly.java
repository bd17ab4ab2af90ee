package io.agentbroker.testing;

import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;

/** A member that the real class does not have: for the driver alone. */
@Retention(RetentionPolicy.RUNTIME)
public @interface DoubleOnly {}
