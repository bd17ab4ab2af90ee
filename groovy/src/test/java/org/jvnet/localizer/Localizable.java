package org.jvnet.localizer;

public class Localizable {}
