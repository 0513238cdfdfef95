package helloworld;

import static org.junit.Assert.assertEquals;

import org.junit.Test;

public class AppTest {
    @Test
    public void visitorsAreGreetedByName() {
        assertEquals("{ \"message\": \"hello ada\", \"visit\": 2 }", App.greeting("ada", 2));
    }
}
